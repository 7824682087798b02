"""The worker process: settings, stores, devices, presence, draining."""
