"""The nouns of Cupel and the promises that its parts keep to one another.

Everything else imports from here; nothing here imports from anywhere else in Cupel.
"""
