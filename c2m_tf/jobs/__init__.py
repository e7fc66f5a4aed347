"""Many photos: a table of jobs, one function that does one job, and engines that apply it to all of them."""
