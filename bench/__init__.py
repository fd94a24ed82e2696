"""`make bench`: gslb beside its peers, on the same zone, questions and cores (bench/README.md)."""
