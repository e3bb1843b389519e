# SPDX-License-Identifier: GPL-2.0
"""A small application without a framework, as WSGI (gunicorn) and as ASGI (uvicorn).

/        a page that is the same for everybody for a minute: caches may keep it
/count   counts the visits of a client by a cookie; nobody may keep it
/echo    sends a request's body back
/pid     the process that answers, and its parent
"""
import http.cookies
import os
import time


def answer(path, cookie):
    """(status, fields, text) for everything but /echo."""
    if path == "/":
        text = f"Hello from Python, made at {time.strftime('%H:%M:%S')}\n"
        return 200, [("Cache-Control", "public, max-age=60")], text
    if path == "/count":
        jar = http.cookies.SimpleCookie(cookie)
        visits = int(jar["visits"].value) + 1 if "visits" in jar and jar["visits"].value.isdigit() else 1
        fields = [("Set-Cookie", f"visits={visits}; HttpOnly"), ("Cache-Control", "no-store")]
        return 200, fields, f"visit {visits}\n"
    if path == "/pid":
        return 200, [("Cache-Control", "no-store")], f"{os.getpid()} {os.getppid()}\n"
    return 404, [], "There is no such page.\n"


def describe(text, fields):
    return [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text.encode()))), *fields]


def application(environ, start_response):
    path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
    if path == "/echo":
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store")])
        return iter(lambda: environ["wsgi.input"].read(65536), b"")
    status, fields, text = answer(path, environ.get("HTTP_COOKIE", ""))
    start_response("200 OK" if status == 200 else "404 Not Found", describe(text, fields))
    return [text.encode()]


async def echo(receive, send):
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"application/octet-stream"), (b"cache-control", b"no-store")]})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/echo":
        await echo(receive, send)
        return
    cookie = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
    status, fields, text = answer(scope["path"], cookie)
    await send({"type": "http.response.start", "status": status,
                "headers": [(name.lower().encode(), value.encode()) for name, value in describe(text, fields)]})
    await send({"type": "http.response.body", "body": text.encode()})
