"""What a detector's representation knows of labels: figures, job and worker."""
