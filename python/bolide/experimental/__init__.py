"""What Ray calls experimental: progress bars of tasks (`tqdm_ray`)."""
