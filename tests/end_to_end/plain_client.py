"""A basic agent in thirty lines, written from the protocol alone: it knows JSON and WebSockets."""

import asyncio
import json
import sys
import time
import uuid

import websockets


async def serve(url: str, agent: str, tasks: int) -> None:
    async with websockets.connect(url) as socket:
        while tasks:
            message = json.loads(await socket.recv())
            if message["type"] != "task":
                continue
            payload = message["payload"]
            process = await asyncio.create_subprocess_shell(
                payload["command"], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
            )
            out, _ = await process.communicate()
            answer = {
                "taskId": payload["taskId"],
                "status": "failed" if process.returncode else "succeeded",
                "exitCode": process.returncode,
                "stdout": out.decode(),
            }
            envelope = {"id": str(uuid.uuid4()), "from": agent, "to": "hub", "type": "response"}
            await socket.send(json.dumps(envelope | {"timestamp": int(time.time() * 1000), "payload": answer}))
            tasks -= 1


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
