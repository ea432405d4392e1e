"""What the service would choose for recorded trainings, without a service."""
