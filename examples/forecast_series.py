"""Forecast a series: choose the order, check the calibration, forecast with intervals.

Run it: python examples/forecast_series.py
"""

from __future__ import annotations

import pandas as pd

import arproc

train, valid, test = arproc.datasets.sunspots()

# The order with the smallest AIC, and the same question asked of held-out data.
chosen = arproc.select_order(train, max_order=15)
print(chosen.table[["log_likelihood", "aic", "bic"]].round(1).iloc[[1, 2, chosen.order]])
candidates = {f"AR({p})": arproc.AR(p).fit(train) for p in {1, 2, chosen.order}}
known = pd.concat([train, valid])
print(arproc.compare(candidates, known, given=len(train)).iloc[:, 1:4].round(3))

# Calibration: next-year forecasts' PIT values are uniform if their widths are right.
values = arproc.evaluation.pit(chosen.model, known)
print(f"Kolmogorov-Smirnov p = {arproc.evaluation.uniformity(values).ks_p_value:.2f}")

# Forecast ten years with intervals; the years are carried on.
model = arproc.AR(chosen.order).fit(known)
forecast = model.forecast(known, horizon=10, quantiles=(0.1, 0.5, 0.9))
print(forecast.round(0).join(test.rename("came")))

ax = arproc.plot.forecast_fan(known.iloc[-50:], forecast, test.iloc[:10])
ax.figure.savefig("forecast.png")
print("wrote forecast.png")
