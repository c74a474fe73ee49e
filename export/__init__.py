"""Trained model to artifact; the first formats land with their own issue."""
