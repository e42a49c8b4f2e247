"""Benchmarks of the data plane: `python -m bench` prints tables. See docs/performance.md."""
