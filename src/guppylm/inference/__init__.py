"""From a trained model to replies."""
