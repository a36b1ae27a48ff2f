# daemon/ - puts it together
