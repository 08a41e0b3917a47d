"""Tables: preparation of numbers and categories, and the families that learn from them."""
