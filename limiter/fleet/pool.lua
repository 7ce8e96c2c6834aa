-- One exchange between a member and its pool's shared state: count what it did, lend it what it may do next.
--
-- KEYS: state, members, seen; all share the pool's hash tag. ARGV[1]: the report, as JSON; the reply is JSON.
-- Every time is the server's own, in seconds; members only ever tell durations. Counters in a report run
-- from when the member joined, so that a report whose reply was lost can be told again.
-- penstock/limiter/fleet/_share.py makes reports and reads replies; docs/fleet.md says what is shared how.

local TTL = 5           -- a member not heard of for so long is gone, and its slots are free
local LATE = 1          -- a report so long under way was given up by its member, and tells of what is over
local KEEP = 86400      -- what was learnt outlives the last member by so long
local QUIET = 0.6       -- after a closed gate's one probe: so long without refusal means admitted
local START, LEAST, MOST = 10, 0.02, 10000            -- the pacer's rate, per second
local ASKED = 2000      -- exchanges a second that up to so many members may cost, whatever they wait for
local DOUBLING, K, DIP, HURRY = 0.5, 10, 0.1, 3       -- as in penstock/limiter/_pacer.py
local BASELINE, HASTE = 2, 0.7
local BURST_LEAST, BURST_MOST, BURST_CUT, BURST_EASE = 1.02, 3, 0.7, 1.002
local LEVELS = {0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512}

local min, max, floor, abs = math.min, math.max, math.floor, math.abs
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local report = cjson.decode(ARGV[1])

local function fresh()
  return {
    at = now, born = clock[1] .. '.' .. clock[2], dims = {}, live = 0, busy = 0, slots = 0, cap = -1, cap_epoch = 0, probing = {}, short_at = 0, short = '',
    gate = 0, gate_open = true, probe_at = 0, parked = 0, refused_at = 0, demand = {}, queued = 0,
    expect = 0, expect_until = 0, ready = 0, calls = 0, publisher = '', levels = {}, level_seconds = 0, call_seconds = 0,
    pace = {rate = START, level = 1, w = 0, grown = 0, busy = now, cut = 0, anchor = 0, delivered = 0,
            refused = 0, burst = BURST_MOST},
  }
end

local packed = redis.call('GET', KEYS[1])
local S = packed and cmsgpack.unpack(packed) or fresh()
if not packed then redis.call('DEL', KEYS[2], KEYS[3]) end     -- evicted alone: what members had is not in its sums
S.born = S.born or ''          -- written by an earlier script
local P = S.pace

-- Demand: calls that wait, by rank and tenant; a member's part of it is taken out before it tells anew.

local function tell_demand(entries, sign)
  for _, entry in ipairs(entries) do
    local rank, tenant, count = tostring(entry[1]), entry[2], entry[3]
    local class = S.demand[rank] or {queued = 0, of = {}, tenants = 0}
    local of = class.of[tenant] or {queued = 0, members = 0}
    if of.members == 0 then class.tenants = class.tenants + 1 end
    of.queued, of.members = of.queued + sign * count, of.members + sign
    class.queued, S.queued = class.queued + sign * count, S.queued + sign * count
    if of.members > 0 then
      class.of[tenant] = of
    else
      class.of[tenant], class.tenants = nil, class.tenants - 1
    end
    S.demand[rank] = class
  end
end

local function take_out(member)
  tell_demand(member.demand, -1)
  S.live, S.busy, S.slots = S.live - member.live, S.busy - member.busy, S.slots - member.slots
  if member.ready then S.ready = S.ready - 1 end
  for name, amount in pairs(member.held) do
    local dim = S.dims[name]
    if dim then dim.held = max(0, dim.held - amount) end
  end
  for name in pairs(member.windows or {}) do
    local dim = S.dims[name]
    if dim then dim.windows = max(0, (dim.windows or 0) - 1) end
  end
end

-- Gone members give their slots back; what they had drawn counts as spent.
local function expire()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - TTL, 'LIMIT', 0, 64)) do
    local found = redis.call('HGET', KEYS[2], id)
    if found then take_out(cmsgpack.unpack(found)) end
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    if S.publisher == id then S.publisher = '' end
  end
  if redis.call('HLEN', KEYS[2]) == 0 then      -- nobody: shed what rounding left
    S.live, S.busy, S.slots, S.queued, S.ready, S.demand = 0, 0, 0, 0, 0, {}
    for _, dim in pairs(S.dims) do dim.held, dim.windows = 0, 0 end
  end
end

-- After a failover to a server whose clock is behind: what was to come in ten seconds still is; members come anew.
local function turn_back(by)
  for part, names in pairs({
    [S] = {'at', 'expect_until', 'gate', 'parked', 'probe_at', 'refused_at', 'short_at'}, [P] = {'anchor', 'busy', 'cut'},
  }) do
    for _, name in ipairs(names) do
      if part[name] > 0 then part[name] = part[name] + by end
    end
  end
  for _, dim in pairs(S.dims) do dim.reset = dim.period > 0 and dim.reset + by or 0 end
  redis.call('DEL', KEYS[2], KEYS[3])
end

-- The fleet's level over time, as long as members told it.
local function weigh_level(dt)
  local index = 1
  while LEVELS[index] and LEVELS[index] < S.live - 0.5 do index = index + 1 end
  while #S.levels < #LEVELS + 1 do S.levels[#S.levels + 1] = 0 end
  S.levels[index] = S.levels[index] + dt
  S.level_seconds, S.call_seconds = S.level_seconds + dt, S.call_seconds + dt * S.live
end

-- What those earn who are expected and have not told is theirs: they send it by themselves.
local function refill(dt)
  if now < S.expect_until then dt = dt * min(1, redis.call('HLEN', KEYS[2]) / S.expect) end
  for _, dim in pairs(S.dims) do
    if dim.period > 0 then
      if now >= dim.reset then
        dim.reset = dim.reset + dim.period * (1 + floor((now - dim.reset) / dim.period))
        dim.level = dim.depth + min(0, dim.level)
      end
    else
      dim.level = min(dim.depth, dim.level + dim.rate * dt)
    end
  end
  P.level = min(max(1, P.rate / 4), P.level + P.rate * dt)
end

-- Whether a member is one of most, who take a dimension for a window or for none: one's own mirror may take the
-- others' sends for the end of a window, and a window that ends is full.
local function agreed(name, dim, windowed, member)
  if windowed then dim.windows, member.windows[name] = (dim.windows or 0) + 1, 1 end
  return windowed == (2 * (dim.windows or 0) > redis.call('HLEN', KEYS[2]))
end

-- What members learnt from headers or were told by their users: a dimension's rate, depth and kind. One who
-- `returns` may have sent unheard, and knows how little may be left.
local function learn(name, fact, returns, member)
  local rate, depth, level, period, left, err = fact[1], fact[2], fact[3], fact[4], fact[5], fact[6]
  local dim = S.dims[name]
  if not dim then
    dim = {rate = rate, depth = depth, level = level, period = 0, reset = 0, err = err, corrected = 0,
           held = 0, total = 0}
    S.dims[name] = dim
    if period > 0 then agreed(name, dim, true, member) end
  elseif not agreed(name, dim, period > 0, member) then
    return
  elseif abs(dim.rate - rate) > 0.001 * rate or dim.period ~= period or depth <= 1 then
    dim.rate, dim.depth, dim.level = rate, depth, min(dim.level, depth)
  else
    dim.depth = max(dim.depth, depth)
  end
  if returns then dim.level = min(dim.level, level) end
  dim.period = period
  if period > 0 then dim.reset = now + left end
end

-- A header tells what was left when its call was sent; the member told what this script held true then. What
-- it held true of a bucket that was forgotten since says nothing of this one.
local function correct(name, seen)
  local dim = S.dims[name]
  if not dim then return end
  local remaining, held, corrected = seen[1], seen[2], seen[3]
  local off = remaining - (held + dim.corrected - corrected)
  dim.err = dim.err + (abs(off) > dim.err and 0.2 or 0.02) * (abs(off) - dim.err)
  local by = off * (off < 0 and 0.5 or 0.1)
  dim.level, dim.corrected = min(dim.depth, dim.level + by), dim.corrected + by
end

local function curve(w)
  local x = P.grown / K
  return max(LEAST, min(MOST, w * (1 + DIP * (1 + HURRY * max(0, x - 2)) * (x - 1) ^ 3)))
end

-- A refusal for rate: the pacer's epoch rule, over the whole fleet's sends.
local function refused(count, age)
  P.refused, S.refused_at = P.refused + count, now
  local sent_at = now - age
  if sent_at <= P.cut then return end
  P.cut = now
  if S.dims.requests then P.burst = max(BURST_LEAST, P.burst * BURST_CUT) return end
  local delivered, seconds = S.calls - P.refused, sent_at - P.anchor
  if P.anchor == 0 then
    P.w = P.rate / 2
  elseif seconds >= BASELINE then
    P.w = max(LEAST, (delivered - P.delivered) / seconds)
  else
    P.w = max(LEAST, (P.w > 0 and P.w or P.rate) * HASTE)
  end
  if P.anchor == 0 or seconds >= BASELINE then P.anchor, P.delivered = sent_at, delivered end
  P.grown, P.rate = 0, curve(P.w)
end

local function pace(pressed, admitted)
  local seconds = max(0, min(1, now - P.busy))
  P.busy = now
  local requests = S.dims.requests
  if requests then
    P.burst = min(BURST_MOST, P.burst * BURST_EASE)
    P.rate = (requests.period > 0 and 3 or P.burst) * requests.rate
  elseif P.w == 0 then
    local stated = S.dims.stated_requests
    if stated then P.rate = max(P.rate, BURST_MOST * stated.rate) end
    P.level = P.level + admitted
    if pressed then P.rate = min(MOST, P.rate * 2 ^ (seconds / DOUBLING)) end
  elseif pressed then
    P.grown = P.grown + seconds
    P.rate = curve(P.w)
  end
end

local function close_gate()
  if report.gate > 0 and now + report.gate > S.gate then
    S.gate, S.gate_open, S.probe_at = now + report.gate, false, 0
  end
  if report.parked > 0 then S.parked = max(S.parked, now + report.parked) end
end

-- How many calls the gate lets pass: none, the one probe, or all.
local function gate_room()
  if S.gate > now or S.parked > now then return 0 end
  if S.gate_open then return math.huge end
  if S.probe_at == 0 then
    if S.queued > 0 and report.queued > 0 then S.probe_at = now return 1 end
    return 0
  end
  if now < S.probe_at + QUIET then return 0 end
  S.gate_open = true
  return math.huge
end

-- All dimensions or nothing: how many calls of this cost every dimension holds now, and earns in a second.
local function room(cost)
  local stock, flow = P.level, P.rate
  for name, dim in pairs(S.dims) do
    local each = cost[name]
    if each and each > 0 then
      local reserve = dim.learnt and 0 or min(0.25 * dim.depth, 0.1 + 2 * dim.err)
      if name:sub(1, 7) == 'stated_' then reserve = 0 end
      local free = dim.level - reserve
      if dim.level >= min(dim.depth, each + reserve) - 0.000001 then free = max(free, each) end
      stock, flow = min(stock, free / each), min(flow, dim.period > 0 and math.huge or dim.rate / each)
    end
  end
  return max(0, stock), flow
end

-- What this member's calls are due, rank by rank. A rank that fits into the next second gets all it wants. The
-- rank in which that ends gets a rate: tenants alike; in a tenant half by head and half by what waits, so that
-- a burst of one process does not starve another. `ahead`: others' calls of better ranks, which go first.
local function find_dues(pot)
  local dues, left, ahead = {}, pot, 0
  for rank = 0, 3 do
    local class = S.demand[tostring(rank)]
    if class and class.queued > 0 then
      local part = min(left, class.queued)
      local due = {count = 0, rate = 0, fits = part == class.queued, ahead = ahead}
      for _, entry in ipairs(report.demand) do
        if entry[1] == rank then
          local of = class.of[entry[2]]
          local each = part / class.tenants * (0.5 / of.members + 0.5 * entry[3] / max(1, of.queued))
          due.count, due.rate = due.count + entry[3], due.rate + (due.fits and entry[3] or each)
        end
      end
      if due.count > 0 then dues[#dues + 1] = due end
      ahead, left = ahead + class.queued - due.count, left - part
    end
  end
  return dues
end

-- Where not all can have what they want: calls that fit go as soon as there is room, others earn their turns.
local function in_turn(dues, stock, member)
  local grant = 0
  for _, due in ipairs(dues) do
    local more = min(due.count, max(0, floor(stock - due.ahead - grant)))
    if not due.fits then more = min(more, floor(member.credit + 0.000001)) end
    grant, due.left = grant + more, due.count - more
  end
  return grant
end

-- How long until this member's next call may have its turn; half of those who have earned theirs come before it.
local function turn_seconds(dues, stock, flow, member)
  for _, due in ipairs(dues) do
    if due.left ~= 0 then
      local short = 1 + due.ahead + (due.fits and 0 or S.ready / 2) - stock
      local refilled = short > 0 and (flow > 0 and flow < math.huge and short / flow or 1) or 0
      return max(refilled, due.left and not due.fits and (1 - member.credit) / max(due.rate, 0.001) or 0)
    end
  end
  return 0
end

-- Slots of the cap: what lives keeps its slot; more than a fair part only while nobody is short, and while none
-- are expected who were members, may have live calls, and have not told.
local function lend_slots(member, wanted, part)
  if S.cap < 0 then return -1 end
  local mine = report.live
  local fair = max(1, floor(S.cap * part))
  local limit = (now - S.short_at < 2 and S.short ~= report.id) and fair or S.cap
  if now < S.expect_until then limit = min(limit, max(1, floor(S.cap / S.expect))) end
  local free = S.cap - S.slots
  local slots = max(mine, min(mine + wanted, limit, mine + max(0, free - mine)))
  if slots < min(mine + wanted, fair) then S.short_at, S.short = now, report.id end
  member.slots = slots
  S.slots = S.slots + slots
  return slots
end

local function estimates()
  local held, corrected, errors = {}, {}, {}
  for name, dim in pairs(S.dims) do
    held[name], corrected[name], errors[name] = dim.level + dim.held, dim.corrected, dim.err
  end
  return held, corrected, errors
end

local function save()
  S.at = now
  redis.call('SET', KEYS[1], cmsgpack.pack(S), 'EX', KEEP)
  redis.call('EXPIRE', KEYS[2], KEEP)
  redis.call('EXPIRE', KEYS[3], KEEP)
end

if report.at and report.at > 0 and now - report.at - report.since > LATE then
  return cjson.encode({late = true, at = now})
end
if S.at > now + 1 then turn_back(now - S.at) end
local dt = max(0, min(now - S.at, 3600))
expire()
weigh_level(min(dt, TTL))
refill(dt)

local function fleet_rate()
  local rate = P.rate
  for name, dim in pairs(S.dims) do
    if name == 'requests' or name == 'stated_requests' then rate = min(rate, dim.rate) end
  end
  return rate
end

if report.look then
  if packed then save() end
  local quota = {}
  for name, dim in pairs(S.dims) do quota[name] = {dim.rate, dim.depth, dim.level + dim.held} end
  return cjson.encode({
    cap = S.cap, rate = fleet_rate(), live = S.busy, queued = S.queued, members = redis.call('HLEN', KEYS[2]),
    refused_ago = S.refused_at > 0 and now - S.refused_at or -1, gate = max(0, S.gate - now),
    gate_open = S.gate_open, parked = max(0, S.parked - now), quota = quota, seen_ago = dt, slots = S.slots,
    new = not packed,
  })
end

local found = redis.call('HGET', KEYS[2], report.id)
local before = found and cmsgpack.unpack(found)
if before then take_out(before) end

-- What happened since the member's last report: what it was lent comes back, and what it spent is taken, so that
-- the books are right also where the loan itself was forgotten. Of a member that is not known, or was alone, only
-- the base is kept: what was sent unheard was earned unheard, and taken at once it would be a debt for all.
local known = before and not report.alone and before
if before and not known then P.level = min(max(1, P.rate / 4), P.level + (before.lent.calls or 0)) end
local member = {
  demand = {}, live = report.mean_live, busy = report.live, slots = 0, held = {}, windows = {}, credit = report.credit, at = now,
  spent = report.spent, lent = {}, calls = report.calls, totals = {}, refused = report.refused,
  admitted = report.admitted,
}
for name, fact in pairs(report.facts) do learn(name, fact, not known, member) end
local elsewhere, admitted, sent = {}, 0, 0
if known then
  member.credit = known.credit
  sent, admitted = report.calls - known.calls, report.admitted - known.admitted
  for name, dim in pairs(S.dims) do
    local mine = (report.spent[name] or 0) - (known.spent[name] or 0)
    dim.level = dim.level + (known.lent[name] or 0) - mine
    dim.total = dim.total + mine
    elsewhere[name] = dim.total - (known.totals[name] or dim.total) - mine
    if not known.totals[name] then elsewhere[name] = 0 end
    if dim.level > dim.depth then dim.level = dim.depth end
  end
  P.level = P.level + max(0, (known.lent.calls or 0) - sent)     -- more than lent: a failover lost the loan
  if report.refused > known.refused then refused(report.refused - known.refused, report.refused_age) end
end
if not before and report.of > 1 then S.expect, S.expect_until = report.of, now + TTL end
S.calls = S.calls + sent
for name, dim in pairs(S.dims) do member.totals[name] = dim.total end
if report.born == S.born then
  for name, seen in pairs(report.seen) do correct(name, seen) end
end
close_gate()
if report.cap_epoch == S.cap_epoch and report.cap ~= S.cap then
  S.cap, S.cap_epoch, S.probing = report.cap, S.cap_epoch + 1, report.probing
end

if report.leave then
  redis.call('HDEL', KEYS[2], report.id)
  redis.call('ZREM', KEYS[3], report.id)
  if S.publisher == report.id then S.publisher = '' end
  save()
  return cjson.encode({left = true})
end

-- What it may do next.
tell_demand(report.demand, 1)
S.live, S.busy = S.live + member.live, S.busy + report.live
local members = redis.call('HLEN', KEYS[2]) + (before and 0 or 1)
local stock, flow = room(report.cost)
local known_quota = S.dims.requests or S.dims.stated_requests
local pot = min(flow + stock, P.rate + P.level)
local dues, mine, earning, sure = find_dues(pot), 0, 0, 0
for _, due in ipairs(dues) do
  mine = mine + due.rate
  if due.fits then sure = sure + due.count else earning = earning + due.rate end
end
local part = pot > 0 and min(1, mine / pot) or 0
member.credit = min(member.credit + earning * (known and max(0, min(2, now - known.at)) or 0), max(1, earning))
local passing = gate_room()
local grant = floor(min(report.queued, stock, passing))
local scarce = S.queued > stock
if scarce then grant = min(grant, in_turn(dues, stock, member)) end
local spare = 0
if not scarce and passing > 1 then
  spare = min(report.spare, floor((stock - S.queued) / (known_quota and 2 or 2 * members)))
end
local slots = lend_slots(member, S.queued > 0 and report.queued or report.spare, S.queued > 0 and part or 1 / members)
if slots >= 0 then
  grant = min(grant, max(0, slots - report.live))
  spare = min(spare, max(0, slots - report.live - grant))
end
member.credit = max(0, member.credit - max(0, grant - sure))
member.lent.calls = grant + spare
P.level = P.level - grant - spare
for name, each in pairs(report.cost) do
  local dim = S.dims[name]
  if dim then
    member.lent[name] = (grant + spare) * each
    dim.level = dim.level - member.lent[name]
    member.held[name] = spare * each
  end
end
for name, amount in pairs(member.held) do
  if S.dims[name] then S.dims[name].held = S.dims[name].held + amount end
end
pace(scarce and stock >= P.level, admitted)

-- What is still wanted stays as this member's demand.
tell_demand(report.demand, -1)
local served, kept = grant, {}
for _, entry in ipairs(report.demand) do
  local now_served = min(served, entry[3])
  served = served - now_served
  if entry[3] > now_served then kept[#kept + 1] = {entry[1], entry[2], entry[3] - now_served} end
end
tell_demand(kept, 1)
member.demand = kept
member.ready = #kept > 0 and member.credit >= 1
if member.ready then S.ready = S.ready + 1 end
redis.call('HSET', KEYS[2], report.id, cmsgpack.pack(member))
redis.call('ZADD', KEYS[3], now, report.id)
if S.publisher == '' then S.publisher = report.id end
-- When to ask again: when its next call should be due, or when room for one should have come.
local again = known_quota and 1 or 0.25           -- what is learnt from deliveries has to hear of them
if report.queued > grant then
  again = max(slots >= 0 and 0.1 or 0.05, min(again, turn_seconds(dues, stock, flow, member)))
end
again = max(again, min(1, members / ASKED))
local held, corrected, errors = estimates()
save()
local rate = min(fleet_rate(), flow)
local reply = {
  at = now, granted = grant + spare, slots = slots, held = held, corrected = corrected, errors = errors, elsewhere = elsewhere,
  again = again,
  own_slots = slots >= 0 and 0.2 * S.cap / members + 0.8 * slots or -1,
  gate = max(0, S.gate - now), parked = max(0, S.parked - now), cap = S.cap, cap_epoch = S.cap_epoch, probing = S.probing or {},
  members = members, live = S.busy, tight = S.queued > 0, new = not packed, born = S.born,
  rate = rate * (0.2 / members + 0.8 * (S.queued > 0 and part or 1 / members)),
}
if S.publisher == report.id then
  reply.levels, reply.call_seconds = S.levels, S.call_seconds
end
return cjson.encode(reply)
