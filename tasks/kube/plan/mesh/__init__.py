"""Pure: what a service mesh adds, where the profile names one (``MESH``)."""
