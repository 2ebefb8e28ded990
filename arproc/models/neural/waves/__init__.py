"""Models of sound: dilated causal convolutions over the samples of a waveform."""
