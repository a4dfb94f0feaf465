"""What the containers of a service read: environment, secrets, configs, and who may."""
