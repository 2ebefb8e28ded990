"""What linear Gaussian processes compute, in numbers alone: filters, likelihoods, their maxima.

Nothing here knows of laws, models or forms of data: arrays come in and go out. The families of
models that stand on it (autoregressions, ARIMA, panels of both) need not know one another.
"""
