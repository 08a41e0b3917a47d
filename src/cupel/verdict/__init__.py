"""Says what won, by how much and how sure; as words, JSON and a page to look at."""
