from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import itsdangerous  # noqa: F401 - from the wheels

ThreadingHTTPServer(("127.0.0.1", 8001), SimpleHTTPRequestHandler).serve_forever()
