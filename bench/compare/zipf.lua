-- Objects of a working set, asked for by Zipf's law (s = 0.9): /z/N.bin, N from 1. The same sequence for every server.
local count = tonumber(os.getenv("ZIPF_OBJECTS") or "2000")
local sums, total = {}, 0

for i = 1, count do
   total = total + 1 / i ^ 0.9
   sums[i] = total
end

function init(args)
   math.randomseed(4711)
end

local function draw()
   local x, low, high = math.random() * total, 1, count
   while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < x then low = middle + 1 else high = middle end
   end
   return low
end

function request()
   return wrk.format("GET", string.format("/z/%d.bin", draw()))
end
