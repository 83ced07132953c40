"""Background work: worker processes, how they are followed, and how work is spread over processes and machines."""
