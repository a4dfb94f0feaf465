"""The pure part of image.*."""
