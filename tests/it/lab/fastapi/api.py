"""What the trial of FastAPI serves: the version of its framework, after its own."""

import fastapi
import fastapi.responses

VERSION = "one"
app = fastapi.FastAPI()


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"well": True}


@app.get("/", response_class=fastapi.responses.PlainTextResponse)
async def root() -> str:
    return f"{VERSION} on {fastapi.__version__}"
