"""HTTP/1.1 on httptools, for the gateway's calls: requests, replies, connections, names, pools."""
