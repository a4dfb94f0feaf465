"""The Compose model, typed, with what services say under x-slipway."""
