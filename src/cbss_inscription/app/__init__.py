"""Settings, wiring, telemetry: where a program is put together from the stations."""
