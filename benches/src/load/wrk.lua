-- The load of a scenario. Arguments: a file of tokens, or "random" for UUIDs that nobody issued; and a file of paths. Each
-- request takes one of either at random.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads * 7919)
end

local function lines(name)
  local found = {}
  for line in io.lines(name) do
    found[#found + 1] = line
  end
  return found
end

local paths, tokens, made
local random, format = math.random, string.format

function init(args)
  math.randomseed(seed + os.time())
  paths = lines(args[2])
  if args[1] == "random" then
    tokens = args[1]
  else
    tokens = lines(args[1])
  end
  -- Where they are few, requests are made once; millions would not fit into memory.
  if tokens ~= "random" and #tokens * #paths <= 20000 then
    made = {}
    for _, path in ipairs(paths) do
      for _, token in ipairs(tokens) do
        made[#made + 1] = wrk.format("GET", path, { Authorization = "Bearer " .. token, Host = wrk.headers["Host"] })
      end
    end
  end
end

function request()
  if made then
    return made[random(#made)]
  end
  local path = paths[random(#paths)]
  local token
  if tokens == "random" then
    token = format("%08x-%04x-%04x-%04x-%06x%06x", random(0, 0x7fffffff), random(0, 0xffff), random(0, 0xffff),
      random(0, 0xffff), random(0, 0xffffff), random(0, 0xffffff))
  else
    token = tokens[random(#tokens)]
  end
  return "GET " .. path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nAuthorization: Bearer " .. token .. "\r\n\r\n"
end

function done(summary, latency)
  local errors = summary.errors
  io.write(format("FIGURES requests=%d duration=%d p50=%d p99=%d p999=%d status=%d connect=%d read=%d write=%d timeout=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
