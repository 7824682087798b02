"""The worker process: settings, stores, devices, presence, the broker, and how it ends."""
