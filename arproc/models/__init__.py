"""The models, one folder a family; no family imports another.

| where | models |
| --- | --- |
| `autoregression/` | `AR`, `BayesianAR`; of vectors `VAR` |
| `statespace/` | `ARIMA`, by its Kalman filter |
| `volatility/` | `ARGARCH` |
| `regimes/` | `MarkovSwitchingAR`, `SETAR` |
| `discrete/` | `CountAR`, `LogisticAR` |
| `bounded.py` | `BetaAR` |
| `panel/` | `Panel`, `AutoPanel`: many series as one computation |
| `ngram/` | `NGram`; in `suffix/` `InfiniGram`; in `adaptive/` `ContextTree`, `PPM`, `Cache` |
| `neural/vectors/` | `MADE`, `NADE`, `MAF` |
| `neural/images/` | `PixelCNN`, `PixelCNNPP`, `PixelSNAIL` |
| `neural/waves/` | `WaveNet` |
| `neural/sequences/` | `Transformer`, `RNN`, `NeuralAR`, `PianoRoll` |
| `kernel_density/` | `KernelDensity` |
| `coded.py` | `Coded`: processes of real numbers as processes of codes |
| `transformed/` | `Transformed` and the changes of variables |
| `mixture.py`, `order_ensemble.py` | laws made of laws: `Mixture`, `OrderEnsemble` |
"""
