# models/ - the shipped models and what each family is asked
