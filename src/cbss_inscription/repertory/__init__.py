"""The person repertory: a question in domain words, an answer in domain words."""
