"""What a translation starts from: facts of images, files of the host, positions of keys."""
