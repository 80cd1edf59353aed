module splitfd-to-tar

go 1.21
