"""Processes written as a linear Gaussian state space: ARIMA."""
