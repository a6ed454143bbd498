"""What clawtui takes of disks, on the platforms and in the state folder, and cleaning up by a plan.

`things` values · `files` the state folder · `desk` surveys and answers · `prune` plans and their execution
"""
