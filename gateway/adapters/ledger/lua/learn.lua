-- A handshake teaches a source its secret: only while an operator has armed it, and only the first one;
-- the same one may come again, for the provider may not have heard our answer.
--
-- ARGV: source, secret. Replies 1 when it is learnt, 0 when not.
local armed = prefix .. ':armed:' .. ARGV[1]
local taught = redis.call('GET', armed)
if not taught then return 0 end
local digest = redis.sha1hex(ARGV[2])
if taught == digest then return 1 end
if taught ~= 'open' then return 0 end
redis.call('SET', armed, digest, 'KEEPTTL')
redis.call('LPUSH', prefix .. ':learnt:' .. ARGV[1], ARGV[2])
return 1
