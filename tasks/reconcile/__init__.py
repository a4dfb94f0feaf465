"""The heart of a deploy: observe what runs, plan the operations that are missing, execute them."""
