"""What a trained model can do, in figures."""
