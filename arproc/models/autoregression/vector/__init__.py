"""Vector autoregressions and what one asks of them."""
