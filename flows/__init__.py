"""Prefect flows, command line, settings, executors and report: the only place that knows how work is scheduled."""
