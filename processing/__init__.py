"""From an ECG in a file to the tensors, pages and measurements that GEM works with."""
