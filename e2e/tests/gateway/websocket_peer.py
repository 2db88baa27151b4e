"""An independent WebSocket peer: `serve` echoes and prints its port, `call URL TOKEN` talks to it through a gateway, and
`hold URL TOKEN` says when it is connected and how that ended."""

import asyncio
import ssl
import sys

import websockets

LARGEST = 4 * 1024 * 1024


async def echo(socket, *_):
    async for message in socket:
        if message == "close, please":
            await socket.close(4001, "as asked")
            return
        await socket.send(message)


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=LARGEST) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


def connected(url, token):
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    headers = {"Authorization": f"Bearer {token}"}
    return websockets.connect(url, ssl=trust, extra_headers=headers, max_size=LARGEST)


async def hold(url, token):
    async with connected(url, token) as socket:
        print("open", flush=True)
        try:
            await socket.recv()
        except websockets.ConnectionClosed as closed:
            print("closed", closed.rcvd.code if closed.rcvd else closed, flush=True)


async def call(url, token):
    async with connected(url, token) as socket:
        assert "permessage-deflate" in socket.response_headers.get("Sec-WebSocket-Extensions", ""), "not compressed"
        for message in ["hello", "Grüße, 世界", b"\x00\xff" * 5, "a" * (1024 * 1024)]:
            await socket.send(message)
            assert await socket.recv() == message, "another message came back"
        # In fragments, which arrive as one message.
        await socket.send(iter(["one ", "two ", "three"]))
        assert await socket.recv() == "one two three", "fragments were lost"
        await asyncio.wait_for(await socket.ping(), 10)
        await socket.send("close, please")
        try:
            await socket.recv()
            raise AssertionError("it was not closed")
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 4001, f"closed with {closed.rcvd}"
    print("all came back")


if sys.argv[1] == "serve":
    asyncio.run(serve())
else:
    asyncio.run({"call": call, "hold": hold}[sys.argv[1]](sys.argv[2], sys.argv[3]))
