"""The bundled pair of small models. What made it is in `training/`."""
