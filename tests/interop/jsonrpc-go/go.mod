module jsonrpc-go

go 1.21
