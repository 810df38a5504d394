"""A tagger as an HTTP service, with a page for browsers; needs the extra `serve`.

In the order of a request: `server` (bounds on what precedes a body), `envelope` (what every answer has in common: key,
headers, counts), `application` (the routes), `bodies` and `forms` (bytes to checked documents), `service` (documents to
sentences and back, aside if they are long), `batching` (sentences of all requests to the network). `settings` has the
limits, `problems` the refusals, `metrics` what is counted; `page` holds the files of the page.
"""
