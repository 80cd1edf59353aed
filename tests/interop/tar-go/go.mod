module tar-go

go 1.21
