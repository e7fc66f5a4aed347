"""Photos: reading, writing, resampling, degrading and drawing them."""
