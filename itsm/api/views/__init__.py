"""The views of resources that all practices share."""
