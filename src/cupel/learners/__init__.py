"""Models that read plain numbers, whatever they were made from; modalities say how their data become such numbers."""
