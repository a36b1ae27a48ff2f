# cli/ - `witness`
